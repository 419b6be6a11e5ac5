-- The lock that belongs to a dict or a list is two of its keys, in the shape of an 'rlock' of its own.
-- A: the place of the first one among the keys.
local lock = K[tonumber(A[1])]
if call('EXISTS', lock) == 1 then return {0}, false end
call('HSET', lock, 'kind', 'rlock', 'parts', 'waiters')
return {1}
