-- Whether keys were added or removed since. A: the shape seen, who waits. {1, shape}; {0, shape}
local shape = call('HGET', META, 'shape') or '0'
if shape ~= A[1] then
  leave(WAITERS, A[2])
  return {1, shape}
end
wait(WAITERS, A[2])
return {0, shape}, false
