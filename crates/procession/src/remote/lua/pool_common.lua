-- What the scripts of pools share. A *board* is where the pools and the workers of one name meet:
--   its hash: mixed, can:<worker> -> what it can do ('': Python's functions), as JSON
--   turn (list): the pools that have tasks ready, whose turn is first first
--   pools (hash): pool -> its owner's client;  workers (hash): worker -> what it says of itself;  idle (waiters)
-- A worker is '<client>/<number>'. A pool has:
--   its hash: options, next, taken (results that its owner has), turned, no:<worker>, need:<what> -> place
--   ready (zset): tasks by their numbers, place * 2^40 + number
--   bodies (hash), held (hash): task -> '<worker> <ticket>', which no other taking of it has, results (list), blobs (hash), waiters (its owner)
local SPAN = 1099511627776
local PARTS = {'ready', 'bodies', 'held', 'results', 'blobs', 'waiters'}

-- What a worker has made of a pool's is there no longer than the pool.
local function bound(pool, part)
  local left = call('PTTL', pool)
  if left > 0 then call('PEXPIRE', pool .. ':' .. part, left) end
end

local function report(pool, task, kind, body)
  whatever_memory()
  call('RPUSH', pool .. ':results', task .. ' ' .. kind .. ' ' .. body)
  bound(pool, 'results')
  ring(pool .. ':waiters', 1)
end

local function strike(pool, task)
  call('HDEL', pool .. ':held', task)
  call('HDEL', pool .. ':bodies', task)
end

-- A task is done, or lost.
local function settle(pool, task, kind, body)
  report(pool, task, kind, body)
  strike(pool, task)
end

local function wipe(board, pool)
  call('LREM', board .. ':turn', 0, pool)
  call('HDEL', board .. ':pools', pool)
  for _, part in ipairs(PARTS) do call('UNLINK', pool .. ':' .. part) end
  call('UNLINK', pool)
end

-- Has the pool stand in the line of those that have work, and wakes so many who look for some.
local function offer(board, pool, n)
  if call('HGET', pool, 'turned') ~= '1' then
    call('HSET', pool, 'turned', 1)
    call('RPUSH', board .. ':turn', pool)
  end
  -- Where not all can do all, the one who can is among all.
  if call('HGET', board, 'mixed') then n = 1000000 end
  ring(board .. ':idle', n)
end

local function held_by(holder)
  return string.match(holder, '^[^ ]*')
end

local function put_back(board, pool, task)
  whatever_memory()
  call('ZADD', pool .. ':ready', task, task)
  bound(pool, 'ready')
  call('HDEL', pool .. ':held', task)
  offer(board, pool, 1)
end

-- The first of the tasks that are ready and in that place.
local function first_in(pool, place)
  local from = place * SPAN
  return call('ZRANGEBYSCORE', pool .. ':ready', string.format('%.0f', from), string.format('(%.0f', from + SPAN),
    'LIMIT', 0, 1)[1]
end

local function can_do(board, worker, need)
  local can = call('HGET', board, 'can:' .. worker)
  for _, one in ipairs(can and cjson.decode(can) or {}) do
    if one == need then return true end
  end
  return not can
end

-- Why none of the workers who live and can do that works for a pool, if that is so and there is one.
local function refusal(board, pool, need)
  local why
  for _, worker in ipairs(call('HKEYS', board .. ':workers')) do
    if alive(string.match(worker, '^[^/]*')) and can_do(board, worker, need) then
      why = call('HGET', pool, 'no:' .. worker)
      if not why then return nil end
    end
  end
  return why
end

-- Why tasks of a pool will not be done by anybody who is there, and one of them: everybody who can do such tasks has
-- refused. Where nobody can they wait for somebody to come, as they do without workers.
local function refused_by_all(board, pool)
  local needs = {[0] = ''}
  for _, field in ipairs(call('HKEYS', pool)) do
    local need = string.match(field, '^need:(.*)$')
    if need then needs[tonumber(call('HGET', pool, field))] = need end
  end
  for place, need in pairs(needs) do
    local task = first_in(pool, place)
    local why = task and refusal(board, pool, need)
    if why then return why, task end
  end
end

-- A worker is no more. `begun`: what it held may have been worked at.
local function bury(board, worker, how, begun)
  local info = call('HGET', board .. ':workers', worker) or ''
  for _, pool in ipairs(call('HKEYS', board .. ':pools')) do
    local held = call('HGETALL', pool .. ':held')
    for i = 1, #held, 2 do
      if held_by(held[i + 1]) == worker then
        if begun then
          settle(pool, held[i], 'lost', how .. '\n' .. info)
        else
          put_back(board, pool, held[i])
        end
      end
    end
    call('HDEL', pool, 'no:' .. worker)
  end
  call('HDEL', board .. ':workers', worker)
  call('HDEL', board, 'can:' .. worker)
  -- Perhaps it was the last one of whom something was to be hoped.
  for _, pool in ipairs(call('HKEYS', board .. ':pools')) do
    local why, task = refused_by_all(board, pool)
    if why then report(pool, task, 'broken', why) end
  end
end

-- A board whose pools and workers have all died goes some time after them. Each who lives comes by much sooner, but
-- for an owner who has put nothing: he comes by with what he puts.
local function stay(board)
  call('PEXPIRE', board, 86400000)
  for _, part in ipairs({'turn', 'pools', 'workers', 'idle'}) do call('PEXPIRE', board .. ':' .. part, 86400000) end
end

-- Nothing is left of a board where nobody is.
local function tidy(board)
  if call('EXISTS', board .. ':workers', board .. ':pools') == 0 then
    for _, part in ipairs({'turn', 'idle'}) do call('UNLINK', board .. ':' .. part) end
    call('UNLINK', board)
    call('ZREM', prefix .. ':names', string.sub(board, #prefix + 4))
  end
end
