-- Removes an entry. A: field. {1, value}; {0}: there is none; {2}: only a client can tell.
local value = call('HGET', ENTRIES, A[1])
if not value then return {none(A[1])}, false end
drop(A[1])
return {1, value}
