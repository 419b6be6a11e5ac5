-- Puts back what was taken, where it stood. A: how many, their members.
local n, sum = tonumber(A[1]), 0
if n < 1 then return {0}, false end
whatever_memory()
if call('HGET', K[1], 'closed') == '2' then
  dropped(n)
  return {0}
end
-- What came meanwhile may be of another shape.
call('HSET', K[1], 'shape', '0')
for i = 2, n + 1 do
  call('ZADD', K[2], 0, A[i])
  sum = sum + #A[i] - struct.unpack('>I4', A[i], #A[i] - 3) - 5
end
call('HINCRBY', K[1], 'bytes', sum)
ring(K[3], n)
return {n}
