-- Puts back what was taken, as if it had not been. A: how many, the messages in the order in which they were
-- taken. What was taken before shutdown(immediate=True) is dropped, as the rest was.
local n, sum = tonumber(A[1]), 0
if n < 1 then return {0}, false end
whatever_memory()
if call('HGET', K[1], 'closed') == '2' then
  dropped(n)
  return {0}
end
for i = n + 1, 2, -1 do
  call(push, K[2], A[i])
  sum = sum + #A[i] - 1
end
call('HINCRBY', K[1], 'bytes', sum)
ring(K[3], n)
return {n}
