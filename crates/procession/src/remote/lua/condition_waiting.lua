-- {how many wait, live and are not notified}
local waiting = 0
for _, entry in ipairs(call('ZRANGE', K[3], 0, -1)) do
  if alive(string.match(entry, '^[^:]*')) then waiting = waiting + 1 end
end
return {waiting}, false
