-- Removes the newest entry. {1, field, value}; {0}: there is none.
local field = call('ZREVRANGE', ORDER, 0, 0)[1]
if not field then return {0}, false end
local value = call('HGET', ENTRIES, field)
drop(field)
return {1, field, value}
