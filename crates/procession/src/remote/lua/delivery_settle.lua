-- A message that is in flight is done, or waits again. A: '1' if it is done, its number, how often it was delivered,
-- who took it. 0: it is not in flight there any more.
local prefix = A[3] .. ' ' .. A[4] .. ' '
if string.sub(call('HGET', K[7], A[2]) or '', 1, #prefix) ~= prefix then return {0}, false end
if A[1] == '1' then
  call('HDEL', K[6], A[2])
  call('HDEL', K[7], A[2])
  call('ZREM', K[8], A[4] .. ':' .. A[2])
  done_with()
elseif give(A[2], tonumber(A[3]), A[4]) == 1 then
  ring(K[3], 1)
else
  done_with()
end
return {1}
