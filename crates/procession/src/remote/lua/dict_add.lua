-- Adds to the number of a plain key, which is 0 if there is none. A: field, the summand's message, '1'
-- if only whole numbers count.
-- {1, sum's message}; {2}: only a client can tell; {3, value}: not by this script; {3}: nor is there a value.
--
-- A server's numbers are floats of 64 bits: whole ones are added here as long as these are exact.
local EXACT = 2 ^ 53

-- The number, and whether it is a float.
local function number(message)
  local tag = string.byte(message, 2)
  if string.byte(message) ~= 1 or not tag then return nil end
  if tag == 0xcb and #message == 10 then return struct.unpack('>d', message, 3), true end
  if tag <= 0x7f or tag >= 0xe0 or (tag >= 0xcc and tag <= 0xd3) then
    -- Some servers take the greatest of 64 bits for negative ones.
    if tag == 0xcf and string.byte(message, 3) > 0 then return nil end
    local whole = cmsgpack.unpack(string.sub(message, 2))
    if whole > -EXACT and whole < EXACT then return whole, false end
  end
end

local value = call('HGET', ENTRIES, A[1])
if not value and none(A[1]) == 2 then return {2}, false end
local old, was_float = number(value or '\1\0')
local more, is_float = number(A[2])
if not old or not more or (A[3] == '1' and was_float) then return value and {3, value} or {3}, false end
local sum, message = old + more, nil
if was_float or is_float then
  message = '\1\203' .. struct.pack('>d', sum)
elseif sum > -EXACT and sum < EXACT then
  message = '\1' .. cmsgpack.pack(sum)
else
  return value and {3, value} or {3}, false
end
if value then
  replace(A[1], message)
else
  add(A[1], message)
  added()
end
return {1, message}
