-- The value of a plain key, which is set if there is none. A: field, value. {0}: it is set; {2}: only a client can
-- tell.
local value = call('HGET', ENTRIES, A[1])
if value then return {1, value}, false end
if none(A[1]) == 2 then return {2}, false end
add(A[1], A[2])
added()
return {0}
