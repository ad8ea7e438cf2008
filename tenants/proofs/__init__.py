"""How a Mattermost server proves who it is: the documents of its site, and the signatures of its pushes.

Levels: claimed (somebody typed it in), seen (its site was read), proven (its pushes carry one of the customer's keys
and are signed with the site's key), licensed (billing says so). What a signature covers is ack_id and device_id, no
server_id and no time: so one that another customer's push carried before proves nothing.
"""
