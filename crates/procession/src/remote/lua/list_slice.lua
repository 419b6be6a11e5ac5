-- Values from..to, as many as make so many bytes ('0': all), and one at least. A: from, to, bytes.
-- {version, length, from, to, value, …}
local n = length()
local from, to, bytes, size = bound(A[1], n), bound(A[2], n), tonumber(A[3]), 0
local reply = {call('HGET', META, 'version') or '0', n, from, to}
while from < to and (bytes == 0 or size < bytes) do
  local some = call('LRANGE', VALUES, from, math.min(from + 128, to) - 1)
  for _, value in ipairs(some) do
    reply[#reply + 1] = value
    size = size + #value
    from = from + 1
    if bytes > 0 and size >= bytes then break end
  end
end
return reply, false
