-- Puts back what was taken, as if it had not been. A: what delivery_get returned.
local n, life, back = tonumber(A[1]), A[2], 0
if n < 1 then return {0}, false end
for i = 3, 3 * n, 3 do
  local number, count = A[i], tonumber(A[i + 1])
  local record = call('HGET', K[7], number) or ''
  local prefix = A[i + 1] .. ' ' .. life .. ' '
  if string.sub(record, 1, #prefix) == prefix then back = back + give(number, count - 1, life) end
end
if back > 0 then ring(K[3], back) else done_with() end
return {back}
