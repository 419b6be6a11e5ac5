-- Sets a field's value to another one if it is as expected. A: field, '1' if one is expected, which, '1' if there is a
-- new one, which. {1}; {0, value}: it is this one; {0}: there is none; {2}: only a client can tell.
local value = call('HGET', ENTRIES, A[1])
if not value and none(A[1]) == 2 then return {2}, false end
local expected, new = A[2] == '1' and A[3], A[4] == '1' and A[5]
if value ~= expected then return value and {0, value} or {0}, false end
if value and new then
  replace(A[1], new)
elseif value then
  drop(A[1])
elseif new then
  add(A[1], new)
  added()
end
return {1}
