-- Puts messages in their order, as many as there is room for. A: maxsize, maxbytes, the shape of all their keys
-- ('0': they have several), the waiter, then keys and messages. Returns how many; -1: the queue is shut down; -2, and how
-- many are in: the next one can't be compared with its neighbours.
local meta = call('HMGET', K[1], 'closed', 'bytes', 'todo', 'seq', 'shape', 'kind')
if not meta[6] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
if meta[1] then
  leave(K[4], A[4])
  return {-1}, false
end
local n = room(A, 5, 2, 'ZCARD', tonumber(meta[2] or 0))
if n == 0 then
  wait(K[4], A[4])
  return {0}, false
end
-- Keys of one shape can be compared. Where there are several the neighbours tell: what begins alike stands together.
local shape, seq, refused = meta[5], tonumber(meta[4] or 0), false
if call('EXISTS', K[2]) == 0 then shape = A[3] end
local is_alike = shape == A[3] and shape ~= '0'
local function fits(key, new)
  local before = call('ZREVRANGEBYLEX', K[2], '(' .. new, '-', 'LIMIT', 0, 1)[1]
  local after = call('ZRANGEBYLEX', K[2], '(' .. new, '+', 'LIMIT', 0, 1)[1]
  return not (before and not comparable(key_of(before), key) or after and not comparable(key_of(after), key))
end
local put, bytes = 0, 0
for i = 5, 3 + 2 * n, 2 do
  local new = member(A[i], seq + put, A[i + 1])
  if not is_alike and not fits(A[i], new) then
    refused = true
    break
  end
  call('ZADD', K[2], 0, new)
  put, bytes = put + 1, bytes + #A[i + 1] - 1
end
leave(K[4], A[4])
if put > 0 then
  if not is_alike then shape = '0' end
  call('HSET', K[1], 'bytes', (meta[2] or 0) + bytes, 'todo', (meta[3] or 0) + put, 'seq', seq + put, 'shape', shape)
  ring(K[3], put)
end
if refused then
  ring(K[4], 1) -- he may have been woken for room that he has left
  return {-2, put}, put > 0
end
return {put}
