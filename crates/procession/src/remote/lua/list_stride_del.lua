-- Removes a slice with steps. A: start, stop, step.
local step = tonumber(A[3])
local first, count = stride(A[1], A[2], step, length())
if count == 0 then return {1}, false end
for i = 0, count - 1 do call('LSET', VALUES, first + i * step, GONE) end
call('LREM', VALUES, 0, GONE)
changed()
return {1}
