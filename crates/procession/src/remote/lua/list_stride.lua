-- A slice with steps. A: start, stop, step ('': none given). {value, …}
local n, step, reply = length(), tonumber(A[3]), {}
local first, count = stride(A[1], A[2], step, n)
if count * 20 < n then
  for i = 0, count - 1 do reply[i + 1] = call('LINDEX', VALUES, first + i * step) end
elseif count > 0 then
  local last = first + (count - 1) * step
  local low = math.min(first, last)
  local all = call('LRANGE', VALUES, low, math.max(first, last))
  for i = 0, count - 1 do reply[i + 1] = all[first + i * step - low + 1] end
end
return reply, false
