-- Puts messages at the end of a row, as many as there is room for. A: maxsize, maxbytes, '1' if they are counted
-- until they are done, the waiter, the messages. Returns how many; -1: the queue is shut down.
local meta = call('HMGET', K[1], 'kind', 'closed', 'bytes')
if not meta[1] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
if meta[2] then
  leave(K[4], A[4])
  return {-1}, false, false
end
local n, sum = room(A, 4, 1, 'LLEN', tonumber(meta[3] or 0))
if n == 0 then
  wait(K[4], A[4])
  return {0}, false, false
end
call('HSET', K[1], 'bytes', (meta[3] or 0) + sum)
if A[3] == '1' then call('HINCRBY', K[1], 'todo', n) end
local len = call('RPUSH', K[2], unpack(A, 5, 4 + n))
leave(K[4], A[4])
ring(K[3], n)
return {n}, true, len == n and K[2]
