-- Whether all is done. A: the waiter, if it is not.
if tonumber(call('HGET', K[1], 'todo') or 0) > 0 then
  wait(K[5], A[1])
  return {0}, false
end
leave(K[5], A[1])
return {1}, false
