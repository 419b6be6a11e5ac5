-- Tasks that nobody wants any more; those that are being worked at are not stopped. A: their numbers. Returns those
-- of which nothing will be reported.
local struck = {}
for _, number in ipairs(A) do
  for place = 0, tonumber(call('HGET', K[1], 'places') or 0) do
    local task = string.format('%.0f', place * SPAN + tonumber(number))
    if call('ZREM', K[2], task) == 1 then
      call('HDEL', K[3], task)
      struck[#struck + 1] = tonumber(number)
    end
  end
end
return struck, #struck > 0
