-- Replaces a slice with steps by as many values. A: start, stop, step, the values, packed. {1}; {0, how many it has}
local step = tonumber(A[3])
local first, count = stride(A[1], A[2], step, length())
local values, given = unpacked(A[4])
if given ~= count then return {0, count}, false end
if count == 0 then return {1}, false end
changed()
for i = 0, count - 1 do call('LSET', VALUES, first + i * step, values[i + 1]) end
return {1}
