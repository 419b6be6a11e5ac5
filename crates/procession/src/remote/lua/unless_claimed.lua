-- What stands before the bodies that change something. Who compares values in his own language, and was outrun by others
-- again and again, claims the object for a moment: the other clients come again later.
local found = call('HMGET', K[1], 'kind', 'claim')
if not found[1] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
local claim = found[2]
if claim then
  local id, till = string.match(claim, '^(%w+):(%d+)$')
  if id ~= me and tonumber(till) > now() and alive(id) then return {-1}, false end
end
