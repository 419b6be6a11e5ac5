-- Sets many values, of keys that clients have compared. A: by fives, packed: '1' and the field that is to have it, or
-- '0' and the message of a new key; the group; what `mark` said of it when the key was found to be new; the value.
-- {1}; {0}: it is not as the client saw it.
local given, n = unpacked(A[1])
local new, any = missing(given, n, 2, 5), filed('')
for i = 1, n, 5 do
  local what, key, group, seen = given[i], given[i + 1], given[i + 2], given[i + 3]
  if what == '1' then
    if new[key] then return {0}, false end
  elseif mark(group, any) ~= seen then
    return {0}, false
  end
end
local plain, is_odd = {}, false
for i = 1, n, 5 do
  local key, group, value = given[i + 1], given[i + 2], given[i + 4]
  if given[i] == '0' and string.byte(key) >= 64 then
    -- They come in their order.
    set_all(plain, #plain, new)
    plain = {}
    add(key, value, group)
    is_odd = true
  else
    plain[#plain + 1] = key
    plain[#plain + 1] = value
  end
end
set_all(plain, #plain, new)
if is_odd then added() end
return {1}
