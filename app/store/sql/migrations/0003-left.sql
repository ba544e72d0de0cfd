-- A relay that was given up is left alone once its queues are known to be used no more,
-- and the last that somebody knows stays open.
ALTER TABLE own_queues ADD COLUMN leaving INTEGER; -- unix ms when the device acknowledged descriptors without it
ALTER TABLE own_queues ADD COLUMN prolonged INTEGER; -- unix ms until when its catch-all was prolonged
