-- What stands before the bodies that change something. Who compares values in his own language, and was outrun by others
-- again and again, claims the object for a moment: the other clients come again later.
local claim = call('HGET', K[1], 'claim')
if claim then
  local id, till = string.match(claim, '^(%w+):(%d+)$')
  if id ~= me and tonumber(till) > now() and alive(id) then return {-1}, false end
end
