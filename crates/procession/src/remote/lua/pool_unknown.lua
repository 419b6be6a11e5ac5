-- Which tasks nobody will ever report of: the server was restored to a state in which it had not got them. A: the board;
-- how many results their owner has had; the tasks' numbers. A pool that stands on its board no more is put there again.
local board = A[1]
if call('HEXISTS', board .. ':pools', K[1]) == 0 then call('HSET', board .. ':pools', K[1], me) end
if call('EXISTS', K[2]) == 1 then
  local stands = false
  for _, pool in ipairs(call('LRANGE', board .. ':turn', 0, -1)) do stands = stands or pool == K[1] end
  if not stands then
    call('HSET', K[1], 'turned', 0)
    offer(board, K[1], call('ZCARD', K[2]))
  end
end
if tonumber(call('HGET', K[1], 'taken') or 0) + call('LLEN', K[5]) > tonumber(A[2]) then
  -- What became of some is on its way to him.
  return {}, false
end
local unknown, places = {}, tonumber(call('HGET', K[1], 'places') or 0)
for i = 3, #A do
  local there = false
  for place = 0, places do
    local task = string.format('%.0f', place * SPAN + tonumber(A[i]))
    there = there or call('HEXISTS', K[3], task) == 1 and
      (call('HEXISTS', K[4], task) == 1 or call('ZSCORE', K[2], task) ~= false)
  end
  if not there then unknown[#unknown + 1] = tonumber(A[i]) end
end
return unknown, false
