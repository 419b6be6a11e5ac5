-- Puts messages at the end, as many as there is room for. A: maxsize, maxbytes, nothing, the waiter, the messages.
-- Returns how many; -1: the queue is shut down.
local meta = call('HMGET', K[1], 'closed', 'bytes', 'seq', 'kind')
if not meta[4] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
if meta[1] then
  leave(K[4], A[4])
  return {-1}, false
end
local n, sum = room(A, 4, 1, 'ZCARD', tonumber(meta[2] or 0))
if n == 0 then
  wait(K[4], A[4])
  return {0}, false
end
local seq = tonumber(meta[3] or 0)
local messages, numbers = {}, {}
for i = 0, n - 1 do
  local number = string.format('%.0f', seq + i)
  messages[2 * i + 1], messages[2 * i + 2] = number, A[5 + i]
  numbers[2 * i + 1], numbers[2 * i + 2] = number, number
end
call('HSET', K[1], 'bytes', (meta[2] or 0) + sum, 'seq', seq + n)
call('HSET', K[6], unpack(messages))
call('ZADD', K[2], unpack(numbers))
leave(K[4], A[4])
ring(K[3], n)
return {n}
