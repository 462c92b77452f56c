# Runs every sample in a folder.
Dir.glob("#{ARGV.fetch(0)}/*.rb").sort.each do |sample|
  puts sample
  load sample
end
