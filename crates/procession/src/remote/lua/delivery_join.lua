-- Whether all is done. A: the waiter, if it is not.
if call('EXISTS', K[6]) == 1 then
  wait(K[5], A[1])
  return {0}, false
end
leave(K[5], A[1])
return {1}, false
