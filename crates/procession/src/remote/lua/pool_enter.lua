-- A worker comes, or says anew what is to be said of it. A: its number, that, '1' if not all can do what it can, '1' if it
-- was here before; else what it can do.
-- Returns the pools there are, and 0 if it was taken for dead.
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
return {1, call('HKEYS', K[3])}
