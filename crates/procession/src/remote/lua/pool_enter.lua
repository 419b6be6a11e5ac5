-- A worker comes, or says anew what is to be said of it. A: its number, that, '1' if not all can do what it can, '1' if it
-- was here before; else what it can do.
-- Returns the pools there are, and 0 if it was taken for dead; of one who was here before also what it holds: pool and
-- '<task>:<ticket>', in turn.
local worker = me .. '/' .. A[1]
if A[4] == '1' and call('HEXISTS', K[4], worker) == 0 then return {0, {}}, false end
call('HSET', K[4], worker, A[2])
if A[4] ~= '1' then
  local can = {}
  for i = 5, #A do can[#can + 1] = A[i] end
  call('HSET', K[1], 'can:' .. worker, cjson.encode(can))
end
if A[3] == '1' then call('HSET', K[1], 'mixed', 1) end
stay(K[1])
local pools, holds = call('HKEYS', K[3]), {}
if A[4] == '1' then
  for _, pool in ipairs(pools) do
    local held = call('HGETALL', pool .. ':held')
    for i = 1, #held, 2 do
      local holder, ticket = string.match(held[i + 1], '^([^ ]*) (.*)$')
      if holder == worker then
        holds[#holds + 1] = pool
        holds[#holds + 1] = held[i] .. ':' .. ticket
      end
    end
  end
end
return {1, pools, holds}
