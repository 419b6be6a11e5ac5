-- Replaces the value with an index. A: index, value. {1}; {0}: there is none.
local at = place(A[1], length())
if not at then return {0}, false end
changed()
call('LSET', VALUES, at, A[2])
return {1}
