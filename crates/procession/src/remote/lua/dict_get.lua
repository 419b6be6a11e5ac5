-- The value of a field. {0}: none; {2}: only a client can tell.
local value = call('HGET', ENTRIES, A[1])
if value then return {1, value}, false, false end
return {none(A[1])}, false, false
