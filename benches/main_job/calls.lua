-- The four calls of one change, in their order, over the whole fleet: the list before, the switch, the job, the list
-- after. Requests are made beforehand and answers are not looked at, so that wrk is as fast as it can be; the job is
-- one that is there, and costs the server what any other costs.

local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

function init(args)
   local fleet, project, token, job = args[1], args[2], args[3], args[4]
   local get = { ["X-Auth-Token"] = token, ["Accept"] = "application/json" }
   local put = { ["X-Auth-Token"] = token, ["Accept"] = "application/json", ["Content-Type"] = "application/json;charset=UTF-8" }
   local base = "/v3/" .. project
   local follow = wrk.format("GET", base .. "/jobs?id=" .. job, get)
   requests = {}
   for line in io.lines(fleet) do
      local instance, proxy = line:match("^[^,]*,(%w+),(%w+)%s*$")
      if instance ~= nil and instance ~= "instance_id" then
         local path = base .. "/instances/" .. instance
         local look = wrk.format("GET", path .. "/proxies?offset=0&limit=100", get)
         requests[#requests + 1] = look
         requests[#requests + 1] = wrk.format("PUT", path .. "/proxy/" .. proxy .. "/ssl", put, '{"ssl_option":true}')
         requests[#requests + 1] = follow
         requests[#requests + 1] = look
      end
   end
   -- Threads begin apart from each other, so that they do not meet on one instance.
   place = math.floor(#requests / 4 * (number / 2)) % #requests * 4 % #requests
end

function request()
   place = place % #requests + 1
   return requests[place]
end

function done(summary, latency, _)
   local errors = summary.errors
   local lost = errors.connect + errors.read + errors.write + errors.timeout
   io.write(string.format("\n{\"calls\":%d,\"microseconds\":%d,\"refused\":%d,\"lost\":%d,\"p50_us\":%d,\"p99_us\":%d}\n",
      summary.requests, summary.duration, errors.status, lost, latency:percentile(50), latency:percentile(99)))
end
