-- The names and kinds of the named objects, the oldest first; but not where pools meet workers, which is nobody's.
local found = {}
for _, name in ipairs(call('ZRANGE', prefix .. ':names', 0, -1)) do
  local kind = call('HGET', prefix .. ':n:' .. name, 'kind')
  if kind and kind ~= 'pools' then
    found[#found + 1] = name
    found[#found + 1] = kind
  end
end
return found, false
