-- The fields that may equal a key. A: its group. {mark, fields…}
local group = A[1]
local found = {mark(group)}
if group == '' then
  for _, field in ipairs(call('ZRANGE', ORDER, 0, -1)) do found[#found + 1] = field end
  return found, false
end
if call('HEXISTS', ENTRIES, '\1' .. group) == 1 then found[2] = '\1' .. group end
for _, of in ipairs({group, ''}) do
  for _, field in ipairs(filed(of)) do found[#found + 1] = field end
end
return found, false
