-- Tasks, to be done by whoever can. A: the board; how many tasks, then of each its number, what its worker must
-- have, and its body; how many blobs, then of each its name and bytes; the names of blobs of no more use.
local board, places = A[1], {}
local function place(need)
  if need == '' then return 0 end
  local found = places[need] or call('HGET', K[1], 'need:' .. need)
  if not found then
    found = call('HINCRBY', K[1], 'places', 1)
    call('HSET', K[1], 'need:' .. need, found)
  end
  places[need] = found
  return tonumber(found)
end
local n, at = tonumber(A[2]), 3
for _ = 1, n do
  local task = string.format('%.0f', place(A[at + 1]) * SPAN + tonumber(A[at]))
  call('HSET', K[3], task, A[at + 2])
  call('ZADD', K[2], task, task)
  at = at + 3
end
local blobs = tonumber(A[at])
at = at + 1
for _ = 1, blobs do
  call('HSET', K[6], A[at], A[at + 1])
  at = at + 2
end
while A[at] do
  call('HDEL', K[6], A[at])
  at = at + 1
end
call('HSET', board .. ':pools', K[1], me)
if n > 0 then offer(board, K[1], n) end
stay(board)
return {n}
