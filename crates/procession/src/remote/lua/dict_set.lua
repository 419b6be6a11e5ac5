-- Sets the value of a plain key. A: field, value. {1}: it is replaced; {0}: it is new; {2}: only a client can tell.
if call('HEXISTS', ENTRIES, A[1]) == 1 then
  replace(A[1], A[2])
  return {1}, true, false
end
if none(A[1]) == 2 then return {2}, false end
add(A[1], A[2])
added()
return {0}
