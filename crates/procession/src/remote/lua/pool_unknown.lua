-- Which tasks nobody will ever report of: the server was restored to a state in which it had not got them. A: how many
-- results their owner has had; the tasks' numbers.
if tonumber(call('HGET', K[1], 'taken') or 0) + call('LLEN', K[5]) > tonumber(A[1]) then
  -- What became of some is on its way to him.
  return {}, false
end
local unknown, places = {}, tonumber(call('HGET', K[1], 'places') or 0)
for i = 2, #A do
  local there = false
  for place = 0, places do
    local task = string.format('%.0f', place * SPAN + tonumber(A[i]))
    there = there or call('HEXISTS', K[3], task) == 1
  end
  if not there then unknown[#unknown + 1] = tonumber(A[i]) end
end
return unknown, false
