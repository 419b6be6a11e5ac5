-- {permits, the most there may be}
local was = call('HMGET', K[1], 'value', 'max')
return {tonumber(was[1] or 0), tonumber(was[2] or 0)}, false, false
