-- Removes the value with an index. {1, value}; {0, length}: there is none.
local n = length()
local at = place(A[1], n)
if not at then return {0, n}, false end
local value = call('LINDEX', VALUES, at)
cut(at, at + 1, n)
changed()
return {1, value}
