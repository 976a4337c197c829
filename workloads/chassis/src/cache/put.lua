-- Puts an entry at each key where nothing of the same or a higher rank is; gives how many were put.
-- ARGV: how long entries are believed, in milliseconds; from when on, by this server's clock, or '' for now; the entries.
-- An entry begins with its rank, 21 digits. Nothing is put that is not believed any more.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = math.min(tonumber(ARGV[2]) or now, now)
local last = from + ARGV[1]
if last <= now then
    return 0
end
local put = 0
for at, key in ipairs(KEYS) do
    local entry = ARGV[at + 2]
    if redis.call('GETRANGE', key, 0, 20) < string.sub(entry, 1, 21) then
        redis.call('SET', key, entry, 'PXAT', string.format('%.0f', last))
        put = put + 1
    end
end
return put
