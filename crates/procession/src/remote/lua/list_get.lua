-- The value with an index. {1, value}; {0}
local value = call('LINDEX', VALUES, A[1])
if not value then return {0}, false, false end
return {1, value}, false, false
