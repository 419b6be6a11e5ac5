-- Puts the values in another order, if none was changed since. A: version, for each place the index of its value in
-- four bytes. {1}; {0}: it is not that version.
if (call('HGET', META, 'version') or '0') ~= A[1] then return {0}, false end
local all, sorted = call('LRANGE', VALUES, 0, -1), {}
if #A[2] ~= 4 * #all then return {0}, false end
if #all < 2 then return {1}, false end
changed()
for i = 1, #all do sorted[i] = all[struct.unpack('>I4', A[2], 4 * i - 3) + 1] end
call('UNLINK', VALUES)
append(sorted, #all)
return {1}
