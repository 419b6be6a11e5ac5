-- Who has died leaves nothing. A: the board. Returns what those workers say of themselves who live.
local board = A[1]
for _, pool in ipairs(call('HKEYS', board .. ':pools')) do
  local owner = call('HGET', board .. ':pools', pool)
  if not alive(owner) or call('EXISTS', pool) == 0 then wipe(board, pool) end
end
local found = {}
for _, worker in ipairs(call('HKEYS', board .. ':workers')) do
  if alive(string.match(worker, '^[^/]*')) then
    found[#found + 1] = call('HGET', board .. ':workers', worker)
  else
    bury(board, worker, 'lease', true)
  end
end
stay(board)
tidy(board)
return {found}, false
