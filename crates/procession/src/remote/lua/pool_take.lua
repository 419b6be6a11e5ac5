-- A worker says what became of tasks, and takes the next one. A: the waiter; its number; '1' if it wants a task;
-- how many reports, then of each its pool, task, kind and body; what it can do ('': Python's functions).
-- {0}: there is none. {1, pool, '<task>:<ticket>', body}. {2}: it was taken for dead, or has left.
-- Kinds: 'done', 'part' (more is to come), 'lost' (begun, and not finished), 'back' (not begun), 'no' (this worker can't work for that pool; the
-- body says why).
local board, worker, changed = K[1], me .. '/' .. A[2], false
local at = 5
for _ = 1, tonumber(A[4]) do
  local pool, kind, body = A[at], A[at + 2], A[at + 3]
  local task, ticket = string.match(A[at + 1], '^(%d+):(%d+)$')
  at = at + 4
  if task and call('HGET', pool .. ':held', task) == worker .. ' ' .. ticket then
    changed = true
    if kind == 'part' then
      report(pool, task, kind, body)
    elseif kind == 'done' or kind == 'lost' then
      if kind == 'lost' then body = 'left\n' .. (call('HGET', K[4], worker) or '') end
      settle(pool, task, kind, body)
    else
      if kind == 'no' then call('HSET', pool, 'no:' .. worker, body) end
      put_back(board, pool, task)
      if kind == 'no' then
        local why, waiting = refused_by_all(board, pool)
        if why then report(pool, waiting, 'broken', why) end
      end
    end
  end
end
if A[3] ~= '1' then return {0}, changed end
if call('HEXISTS', K[4], worker) == 0 then return {2}, changed end

local function first(pool)
  for i = at, #A do
    local place = A[i] == '' and '0' or call('HGET', pool, 'need:' .. A[i])
    local found = place and first_in(pool, tonumber(place))
    if found then return found end
  end
end

for _, pool in ipairs(call('LRANGE', K[2], 0, -1)) do
  local owner = call('HGET', K[3], pool)
  if not owner or not alive(owner) or call('EXISTS', pool) == 0 then
    wipe(board, pool)
    changed = true
  elseif call('HEXISTS', pool, 'no:' .. worker) == 0 then
    local task = first(pool)
    local body = task and call('HGET', pool .. ':bodies', task)
    if body then
      whatever_memory()
      local ticket = call('HINCRBY', pool, 'tickets', 1)
      call('HSET', pool .. ':held', task, worker .. ' ' .. ticket)
      bound(pool, 'held')
      call('ZREM', pool .. ':ready', task)
      -- The next one is another's.
      call('LREM', K[2], 1, pool)
      if call('EXISTS', pool .. ':ready') == 1 then
        call('RPUSH', K[2], pool)
      else
        call('HDEL', pool, 'turned')
      end
      leave(K[5], A[1])
      return {1, pool, task .. ':' .. ticket, body}
    elseif task then
      call('ZREM', pool .. ':ready', task)
      changed = true
    end
  end
end
wait(K[5], A[1])
return {0}, changed
