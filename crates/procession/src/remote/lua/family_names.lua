-- The names and kinds of the named objects, the oldest first.
local found = {}
for _, name in ipairs(call('ZRANGE', prefix .. ':names', 0, -1)) do
  local kind = call('HGET', prefix .. ':n:' .. name, 'kind')
  if kind then
    found[#found + 1] = name
    found[#found + 1] = kind
  end
end
return found, false
