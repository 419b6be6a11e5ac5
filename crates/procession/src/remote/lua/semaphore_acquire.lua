-- Takes a permit. A: waiter's member or ''. {1}; {0}: there is none.
if tonumber(call('HGET', K[1], 'value') or 0) < 1 then
  wait(K[2], A[1])
  return {0}, false
end
call('HINCRBY', K[1], 'value', -1)
leave(K[2], A[1])
return {1}
