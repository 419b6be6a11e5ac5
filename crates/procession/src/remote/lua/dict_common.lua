-- What stands before the bodies about dicts.
--
-- The entries are a hash of fields and values, and a sorted set of the same fields by the number of their
-- insertion. A plain key's field is its message: the byte 1 and its MessagePack. Of another key, which is found by
-- == in a client, it is: its kind, the number of its insertion in eight bytes, its group behind a length of four
-- bytes, and its body. All fields of one group stand in the hash `odd`, packed. A group is the MessagePack of the
-- plain key that a key of it may equal; '': it may equal any.
-- 'shape' counts what is added and removed, 'version' what is replaced.
local META, ENTRIES, ORDER, ODD, WAITERS = K[1], K[2], K[3], K[4], K[5]

-- The fields of a group.
local function filed(group)
  local packed = call('HGET', ODD, group)
  return packed and cmsgpack.unpack(packed) or {}
end

-- There is no such field. 2: another key may be equal to it all the same; 0: none is.
local function none(field)
  local odd = call('HMGET', ODD, string.sub(field, 2), '')
  return (odd[1] or odd[2]) and 2 or 0
end

-- Other fields may have come or gone: this text is then another one. For '' it is so if any was added or removed.
local function mark(group, any)
  if group == '' then return call('HGET', META, 'shape') or '0' end
  local field = '\1' .. group
  local fields = {filed(group), any or filed(''), call('HEXISTS', ENTRIES, field)}
  return redis.sha1hex(cmsgpack.pack(fields))
end

local function replace(field, value)
  call('HINCRBY', META, 'version', 1)
  call('HSET', ENTRIES, field, value)
end

-- Adds an entry: of a plain key, or of another one's message, with its group.
local function add(key, value, group)
  local number = call('HINCRBY', META, 'shape', 1)
  local field = key
  if group then
    local head = struct.pack('>I8I4', number, #group)
    field = string.sub(key, 1, 1) .. head .. group .. string.sub(key, 2)
    local fields = filed(group)
    fields[#fields + 1] = field
    call('HSET', ODD, group, cmsgpack.pack(fields))
  end
  call('HSET', ENTRIES, field, value)
  call('ZADD', ORDER, string.format('%.0f', number), field)
end

-- Removes an entry that is there. That needs no memory.
local function drop(field)
  call('HDEL', ENTRIES, field)
  call('ZREM', ORDER, field)
  if string.byte(field) >= 64 then
    local len = struct.unpack('>I4', field, 10)
    local group, rest = string.sub(field, 14, 13 + len), {}
    for _, other in ipairs(filed(group)) do
      if other ~= field then rest[#rest + 1] = other end
    end
    if rest[1] then call('HSET', ODD, group, cmsgpack.pack(rest)) else call('HDEL', ODD, group) end
  end
  call('HINCRBY', META, 'shape', 1)
end

-- Who waits for a key looks again.
local function added()
  local waiting = call('ZCARD', WAITERS)
  if waiting > 0 then ring(WAITERS, waiting) end
end

-- So many entries go in one command: most of an entry's time is the command.
local MANY = 500

-- Which of the fields at row[from], row[from + step] … up to n are not there, as keys.
local function missing(row, n, from, step)
  local new, fields = {}, {}
  for i = from, n, step do
    fields[#fields + 1] = row[i]
    if #fields == MANY or i + step > n then
      -- A place in the order is shorter than a value.
      local places = call('ZMSCORE', ORDER, unpack(fields))
      for at, field in ipairs(fields) do
        if not places[at] then new[field] = true end
      end
      fields = {}
    end
  end
  return new
end

-- Sets the fields of a row of n fields and values; those that are new come in their order.
local function set_all(row, n, new)
  local fresh = {}
  for i = 1, n, 2 do
    if new[row[i]] then
      fresh[#fresh + 1] = row[i]
      new[row[i]] = nil
    end
  end
  local replaced = n / 2 - #fresh
  if replaced > 0 then call('HINCRBY', META, 'version', replaced) end
  local before = fresh[1] and call('HINCRBY', META, 'shape', #fresh) - #fresh
  for i = 1, n, 2 * MANY do call('HSET', ENTRIES, unpack(row, i, math.min(n, i + 2 * MANY - 1))) end
  for i = 1, #fresh, MANY do
    local places = {}
    for at = i, math.min(#fresh, i + MANY - 1) do
      places[#places + 1] = string.format('%.0f', before + at)
      places[#places + 1] = fresh[at]
    end
    call('ZADD', ORDER, unpack(places))
  end
  if fresh[1] then added() end
end
