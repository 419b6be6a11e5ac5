-- What stands before the bodies about lists.
--
-- The values are a list of Redis's. 'version' counts its changes. No value is a zero byte: a value that is to be
-- removed becomes one, and so does the place at which one is put in.
local META, VALUES = K[1], K[2]
local GONE = '\0'
local CHUNK = 1000

local function length() return call('LLEN', VALUES) end

-- For what needs memory this is the first command.
local function changed() call('HINCRBY', META, 'version', 1) end

-- Where an index is in a list of n; nil: nowhere.
local function place(index, n)
  local at = tonumber(index)
  if at < 0 then at = at + n end
  if at >= 0 and at < n then return at end
end

-- Where a bound of a slice is in a list of n.
local function bound(given, n)
  local at = tonumber(given)
  if at < 0 then at = at + n end
  return math.min(math.max(at, 0), n)
end

local function append(values, n)
  for i = 1, n, CHUNK do call('RPUSH', VALUES, unpack(values, i, math.min(i + CHUNK - 1, n))) end
end

-- Puts values before the others, in their order.
local function prepend(values, n)
  for i = n, 1, -CHUNK do
    local some = {}
    for j = i, math.max(i - CHUNK + 1, 1), -1 do some[#some + 1] = values[j] end
    call('LPUSH', VALUES, unpack(some))
  end
end

-- Removes the values from..to of n.
local function cut(from, to, n)
  if from == 0 and to == n then
    call('UNLINK', VALUES)
  elseif from == 0 then
    call('LTRIM', VALUES, to, -1)
  elseif to == n then
    call('LTRIM', VALUES, 0, from - 1)
  elseif math.min(from, n - to) > math.max(CHUNK, to - from) then
    -- From the nearer end.
    for i = from, to - 1 do call('LSET', VALUES, i, GONE) end
    call('LREM', VALUES, from < n - to and to - from or from - to, GONE)
  elseif from < n - to then
    local head = call('LRANGE', VALUES, 0, from - 1)
    call('LTRIM', VALUES, to, -1)
    prepend(head, from)
  else
    local tail = call('LRANGE', VALUES, to, -1)
    call('LTRIM', VALUES, 0, from - 1)
    append(tail, n - to)
  end
end

-- Puts values in before the index at of n.
local function put(at, values, count, n)
  if count == 0 then return end
  if at == n then return append(values, count) end
  if at == 0 then return prepend(values, count) end
  if count == 1 and n - at > CHUNK then
    local there = call('LINDEX', VALUES, at)
    call('LSET', VALUES, at, GONE)
    call('LINSERT', VALUES, 'BEFORE', GONE, values[1])
    call('LSET', VALUES, at + 1, there)
  elseif at < n - at then
    local head = call('LRANGE', VALUES, 0, at - 1)
    call('LTRIM', VALUES, at, -1)
    prepend(values, count)
    prepend(head, at)
  else
    local tail = call('LRANGE', VALUES, at, -1)
    call('LTRIM', VALUES, 0, at - 1)
    append(values, count)
    append(tail, n - at)
  end
end

-- A slice with steps, as CPython's PySlice_AdjustIndices has it: its first index and how many there are.
local function stride(start, stop, step, n)
  local low, high = 0, n
  if step < 0 then low, high = -1, n - 1 end
  local function at(given, missing)
    local index = tonumber(given)
    if not index then return missing end
    if index < 0 then return math.max(index + n, low) end
    return math.min(index, high)
  end
  local first = at(start, step < 0 and high or low)
  local last = at(stop, step < 0 and low or high)
  local way = step < 0 and first - last or last - first
  return first, way <= 0 and 0 or math.floor((way - 1) / math.abs(step)) + 1
end
