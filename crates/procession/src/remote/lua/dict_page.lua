-- Some entries, in order. A: behind which number, '1' with values, how many and how many bytes at most ('0': any).
-- {version, shape, number of the last one or '' if there is none behind it, field, value, field, value, …}
local counts = call('HMGET', META, 'version', 'shape')
local reply = {counts[1] or '0', counts[2] or '0', ''}
local most, bytes, size = tonumber(A[3]), tonumber(A[4]), 0
local from = A[1]
while true do
  local found = call('ZRANGEBYSCORE', ORDER, '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
  local fields, numbers = {}, {}
  for i = 1, #found, 2 do fields[#fields + 1], numbers[#numbers + 1] = found[i], found[i + 1] end
  local values = A[2] == '1' and fields[1] and call('HMGET', ENTRIES, unpack(fields))
  for i, field in ipairs(fields) do
    reply[#reply + 1] = field
    size = size + #field
    if values then
      reply[#reply + 1] = values[i]
      size = size + #values[i]
    end
    if most > 0 then
      most = most - 1
      if most == 0 then
        reply[3] = numbers[i]
        return reply, false
      end
    end
    if bytes > 0 and size >= bytes then
      reply[3] = numbers[i]
      return reply, false
    end
  end
  if #fields < 500 then return reply, false end
  from = numbers[#numbers]
end
