-- Whether what two order keys were made of can be compared: of the first items that differ both must be numbers, or
-- texts, and so on. The same as are_comparable in codec/order, which says what a key looks like.
local function end_of_item(key, at)
  local tag = string.byte(key, at)
  if tag == 0x32 or tag == 0x34 then
    local last = tag == 0x34 and 0 or 1
    for i = at + 3, #key do
      if string.byte(key, i) % 2 == last then return i + 1 end
    end
    return nil
  elseif tag == 0x40 or tag == 0x50 then
    local i = at + 1
    while true do
      local zero = string.find(key, '\0', i, true)
      if not zero then return nil end
      if string.byte(key, zero + 1) ~= 0xff then return zero + 1 end
      i = zero + 2
    end
  elseif tag == 0x70 then
    return at + 5
  end
  return at + 1
end

local function comparable(a, b)
  local differs = 1
  while differs <= #a and differs <= #b and string.byte(a, differs) == string.byte(b, differs) do
    differs = differs + 1
  end
  if differs > #a or differs > #b then return true end
  local at = 1
  while at < differs do
    at = end_of_item(a, at)
    if not at then return true end
  end
  local x, y = string.byte(a, differs), string.byte(b, differs)
  if at > differs or x == 0xff or y == 0xff or x == 0 or y == 0 then return true end
  return math.floor(x / 16) == math.floor(y / 16)
end

-- A member of the queue's sorted set: the key, the number of arrival (8 bytes), the message, the length of
-- what stands before it (4 bytes). No key is the beginning of another, so the number decides among equals.
local function member(key, number, message)
  return key .. struct.pack('>I8', number) .. message .. struct.pack('>I4', #key + 8)
end

local function key_of(member)
  return string.sub(member, 1, struct.unpack('>I4', member, #member - 3) - 8)
end
